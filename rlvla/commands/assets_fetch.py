"""`rlvla assets fetch`: download the paper's objects, plates and table images."""

from dataclasses import dataclass
from pathlib import Path

from rlvla_core.errors import RlvlaError
from rlvla_core.runs.progress import Progress
from rlvla_sim.assets.fetch import TERMS, Manifest, fetch, missing_files
from rlvla_sim.assets.paper import ENVIRONMENT


@dataclass(frozen=True, kw_only=True)
class AssetsFetch:
    """Download the paper's assets (132 files, 81 MB or more) from its public repository, for `--assets paper`.

    Not needed for anything else: rlvla's own assets are made by code. Every file is checked; started again, the
    command goes on where it was.
    """

    to: Path = Path("paper_assets")
    """Folder for them; RLVLA_ASSETS must then name it."""
    accept_terms: bool = False
    """That you have read the terms, which are printed without it, and use the assets for research only."""

    def run(self) -> int:
        """Download what is missing; the exit code."""
        if not self.accept_terms:
            raise RlvlaError(f"{TERMS} If that suits you, call again with --accept-terms")
        manifest = Manifest.read()
        names = missing_files(manifest, self.to)
        with Progress("Assets of the paper", total=len(names), unit="files") as progress:
            for done in fetch(manifest, self.to, names):
                progress.update(done)
        print(f"{len(manifest.files)} files are in {self.to}, {len(names)} of them new. Now:")
        print(f"  export {ENVIRONMENT}={self.to.resolve()}")
        print("The paper's WidowX is another download: docs/assets.md says which.")
        return 0
