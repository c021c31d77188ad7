"""What `burr-lightning doctor` looks at; each file looks at one thing, and changes nothing."""
