from datetime import UTC, datetime

import pytest
from botocore.stub import Stubber

from bot.clients.ecr import Ecr
from bot.clients.scaling import Scaling
from bot.errors import NotFound

RESOURCE = "service/c/blue"
TARGET = {"ServiceNamespace": "ecs", "ResourceId": RESOURCE, "ScalableDimension": "ecs:service:DesiredCount"}


async def test_a_tag_gives_the_digest_it_points_to(aws, script):
    asked = {"repositoryName": "storage", "imageIds": [{"imageTag": "v0.1.0"}]}
    script("ecr", "describe_images", asked, {"imageDetails": [{"imageDigest": "sha256:abc"}]})
    assert await Ecr(aws).digest("storage", "v0.1.0") == "sha256:abc"


@pytest.mark.parametrize(
    ("code", "sentence"),
    [("ImageNotFoundException", "storage:v9.9.9 is not in the registry"), ("RepositoryNotFoundException", "no such")],
)
async def test_a_missing_tag_and_a_missing_repository_are_told_apart(aws, code, sentence):
    with Stubber(aws._client("ecr")) as stub:
        stub.add_client_error("describe_images", code, "no such thing", 400)
        with pytest.raises(NotFound, match=sentence):
            await Ecr(aws).digest("storage", "v9.9.9")


async def test_tags_come_newest_first_from_all_pages_and_no_more_than_asked(aws, script):
    asked = {"repositoryName": "storage", "filter": {"tagStatus": "TAGGED"}}
    first = {"imageTags": ["v1"], "imagePushedAt": datetime(2026, 1, 1, tzinfo=UTC)}
    newest = {"imageTags": ["v3", "latest"], "imagePushedAt": datetime(2026, 3, 1, tzinfo=UTC)}
    middle = {"imageTags": ["v2"], "imagePushedAt": datetime(2026, 2, 1, tzinfo=UTC)}
    script("ecr", "describe_images", asked, {"imageDetails": [first], "nextToken": "n"})
    script("ecr", "describe_images", {**asked, "nextToken": "n"}, {"imageDetails": [newest, middle]})
    assert await Ecr(aws).tags("storage", most=3) == ("v3", "latest", "v2")


async def test_a_repository_has_an_address(aws, script):
    repository = {"repositoryUri": "1.dkr.ecr.us-east-1.amazonaws.com/storage"}
    script("ecr", "describe_repositories", {"repositoryNames": ["storage"]}, {"repositories": [repository]})
    ecr = Ecr(aws)
    for _again in range(2):
        assert await ecr.uri("storage") == "1.dkr.ecr.us-east-1.amazonaws.com/storage"


def scalable(script, *targets):
    asked = {"ServiceNamespace": "ecs", "ResourceIds": [RESOURCE], "ScalableDimension": "ecs:service:DesiredCount"}
    script("application-autoscaling", "describe_scalable_targets", asked, {"ScalableTargets": list(targets)})


def registered(**state):
    limits = {"MinCapacity": 2, "MaxCapacity": 6, "RoleARN": "r", "CreationTime": datetime(2026, 1, 1, tzinfo=UTC)}
    return {**TARGET, **limits, "SuspendedState": state}


@pytest.mark.parametrize("suspended", [True, False])
async def test_only_scaling_in_is_switched_and_other_suspensions_stay(aws, script, suspended):
    scalable(script, registered(DynamicScalingInSuspended=not suspended, ScheduledScalingSuspended=True))
    state = {"DynamicScalingInSuspended": suspended, "ScheduledScalingSuspended": True}
    script("application-autoscaling", "register_scalable_target", {**TARGET, "SuspendedState": state}, {})
    scaling = Scaling(aws)
    assert await (scaling.suspend_scale_in if suspended else scaling.resume)("c", "blue") is True


async def test_a_service_that_is_not_scaled_is_left_alone(aws, script):
    scalable(script)
    scalable(script)
    assert await Scaling(aws).suspend_scale_in("c", "blue") is False
    assert await Scaling(aws).resume("c", "blue") is False


async def test_a_cluster_may_be_given_by_its_arn(aws, script):
    scalable(script)
    assert await Scaling(aws).resume("arn:aws:ecs:us-east-1:1:cluster/c", "blue") is False
