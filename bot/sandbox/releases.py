"""The images in the sandbox's registry and what the storage service does when each of them runs: data only."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

ACCOUNT = "123456789012"
REGION = "us-east-1"
REPOSITORY = "llm-observatory/storage"
REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{REPOSITORY}"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"

USUAL_ERROR_SHARE = 0.0005
# A little more than twice, so that the rule "more than twice the baseline" is decided and not a coin toss.
TWICE_AS_SLOW = 2.2


@dataclass(frozen=True, kw_only=True)
class Release:
    """One version: `error_share` of user requests answer 500, durations are multiplied by `slowness`."""

    version: str
    summary: str
    error_share: float = USUAL_ERROR_SHARE
    slowness: float = 1.0
    gets_healthy: bool = True
    migration: str = "none"

    @property
    def manifest(self) -> str:
        """Return the image manifest as pushed; its annotations are the labels that tools read."""
        layer = hashlib.sha256(f"layer of {self.version}".encode()).hexdigest()
        config = hashlib.sha256(f"config of {self.version}".encode()).hexdigest()
        return json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST_TYPE,
                "config": {
                    "mediaType": "application/vnd.oci.image.config.v1+json",
                    "digest": f"sha256:{config}",
                    "size": 7023,
                },
                "layers": [
                    {
                        "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                        "digest": f"sha256:{layer}",
                        "size": 41_943_040,
                    }
                ],
                "annotations": {
                    "org.opencontainers.image.version": self.version,
                    "org.opencontainers.image.title": "llm-observatory-storage",
                    "io.llm-observatory.migration": self.migration,
                },
            }
        )

    @property
    def digest(self) -> str:
        """Return the digest of the manifest, as a real registry computes it."""
        return f"sha256:{hashlib.sha256(self.manifest.encode()).hexdigest()}"

    @property
    def image(self) -> str:
        """Return the image reference pinned to the digest."""
        return f"{REGISTRY}@{self.digest}"


OLD, LIVE = "v0.0.8", "v0.0.9"
RELEASES: Mapping[str, Release] = {
    release.version: release
    for release in (
        Release(version=OLD, summary="the one before the live one"),
        Release(version=LIVE, summary="live at the start"),
        Release(version="v0.1.0", summary="healthy"),
        Release(version="v0.1.1", summary="fails 2 % of user requests", error_share=0.02),
        Release(version="v0.1.2", summary="twice as slow", slowness=TWICE_AS_SLOW),
        Release(version="v0.1.3", summary="never gets healthy", gets_healthy=False),
        Release(version="v0.1.4", summary="healthy, with a migration", migration="expand"),
        Release(version="v0.1.5", summary="healthy, with a contract migration", migration="contract"),
    )
}


def find(image: str) -> Release | None:
    """Return the release of an image reference (tag or digest), or None where the registry does not have it."""
    repository, _, digest = image.partition("@")
    if digest:
        return next((release for release in RELEASES.values() if release.digest == digest), None)
    name, _, tag = repository.rpartition(":")
    return RELEASES.get(tag) if name == REGISTRY else None
