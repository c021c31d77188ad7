"""What the commands on the page about storage have printed and left, on the run that the page trains."""

from pages import ROOT, Reader

from burr_lightning import list_runs


def test_every_command_does_what_the_page_says(own_home, monkeypatch):
    reader = Reader(own_home / "page", monkeypatch)
    reader.read(ROOT / "docs" / "storage.md")
    assert (reader.folder / "epoch-3.pt").exists()
    assert len((reader.folder / "regression.csv").read_text().splitlines()) == 7
    said = reader.said
    assert "files deleted, which freed" in said["burr-lightning prune regression --keep-last 1 --yes"]
    assert "There is nothing to free." not in said["burr-lightning prune regression --keep-last 1"]
    assert list_runs(root_dir=reader.folder / "burr_runs") == []
