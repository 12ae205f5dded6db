"""Container registry: which image a version names. Tags move, so what is deployed is pinned by digest."""

from bot.clients.aws import Aws
from bot.errors import NotFound


class Ecr:
    """Repositories of one region's registry. Every method raises what `Aws.call` raises."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws
        self._uris: dict[str, str] = {}

    async def digest(self, repository: str, tag: str) -> str:
        """Return the digest (`sha256:…`) that a tag points to now; NotFound when the repository or tag is missing."""
        try:
            answer = await self._aws.call(
                "ecr", "describe_images", repositoryName=repository, imageIds=[{"imageTag": tag}]
            )
        except NotFound as missing:
            if missing.facts.get("aws_code") != "ImageNotFoundException":
                raise
            raise NotFound(
                f"Image {repository}:{tag} is not in the registry; push it or choose a version that is there.",
                repository=repository,
                tag=tag,
            ) from missing
        digest: str = answer["imageDetails"][0]["imageDigest"]
        return digest

    async def tags(self, repository: str, most: int = 20) -> tuple[str, ...]:
        """Return at most `most` tags, of the image pushed last first."""
        images = await self._aws.pages(
            "ecr", "describe_images", "imageDetails", repositoryName=repository, filter={"tagStatus": "TAGGED"}
        )
        newest = sorted(images, key=lambda image: image["imagePushedAt"], reverse=True)
        return tuple(tag for image in newest for tag in image.get("imageTags", ()))[:most]

    async def uri(self, repository: str) -> str:
        """Return the address of a repository, to be followed by `@` and a digest; NotFound when it is missing."""
        # The address follows from account, region and name; whether the repository still exists, `digest` finds out.
        if repository not in self._uris:
            answer = await self._aws.call("ecr", "describe_repositories", repositoryNames=[repository])
            self._uris[repository] = answer["repositories"][0]["repositoryUri"]
        return self._uris[repository]

    async def tags_of(self, repository: str, digest: str) -> tuple[str, ...]:
        """Return the tags that an image carries; NotFound when the repository or image is missing."""
        answer = await self._aws.call(
            "ecr", "describe_images", repositoryName=repository, imageIds=[{"imageDigest": digest}]
        )
        return tuple(answer["imageDetails"][0].get("imageTags", ()))
