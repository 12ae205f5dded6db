"""The four AWS clients against moto: shapes of real requests and replies, not behaviour."""

import json
from datetime import timedelta

import pytest
from moto.server import ThreadedMotoServer

from bot.clients.aws import Aws
from bot.clients.ecr import Ecr
from bot.clients.ecs import Ecs
from bot.clients.elb import Elb
from bot.clients.scaling import Scaling
from bot.errors import NotFound, Refused

IMAGE = "1.dkr.ecr.us-east-1.amazonaws.com/storage@sha256:"


@pytest.fixture(scope="module")
def moto():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
async def aws(moto, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    door = Aws("us-east-1")
    yield door
    await door.close()


@pytest.fixture
async def rule(aws, request):
    """A rule with 100 % on blue and 0 % on green: its ARN and the two groups'."""
    subnets = await aws.call("ec2", "describe_subnets")
    subnet, other = subnets["Subnets"][:2]
    name = f"lb{abs(hash(request.node.name)) % 10**8}"
    balancer = await aws.call(
        "elbv2", "create_load_balancer", Name=name, Subnets=[subnet["SubnetId"], other["SubnetId"]]
    )
    groups = [await _group(aws, f"{name}-{colour}", subnet["VpcId"]) for colour in ("blue", "green")]
    listener = await aws.call(
        "elbv2",
        "create_listener",
        LoadBalancerArn=balancer["LoadBalancers"][0]["LoadBalancerArn"],
        Protocol="HTTP",
        Port=80,
        DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "503"}}],
    )
    weighted = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in zip(groups, (100, 0), strict=True)]
    config = {"TargetGroups": weighted, "TargetGroupStickinessConfig": {"Enabled": True, "DurationSeconds": 60}}
    rules = await aws.call(
        "elbv2",
        "create_rule",
        ListenerArn=listener["Listeners"][0]["ListenerArn"],
        Priority=1,
        Conditions=[{"Field": "path-pattern", "Values": ["/*"]}],
        Actions=[{"Type": "forward", "ForwardConfig": config}],
    )
    return rules["Rules"][0]["RuleArn"], *groups


async def _group(aws, name, vpc):
    made = await aws.call(
        "elbv2",
        "create_target_group",
        Name=name,
        Protocol="HTTP",
        Port=8080,
        VpcId=vpc,
        TargetType="ip",
        HealthCheckIntervalSeconds=10,
        HealthyThresholdCount=3,
    )
    return made["TargetGroups"][0]["TargetGroupArn"]


@pytest.fixture
async def base(aws, request):
    """A task definition of a family of its own."""
    family = f"f{abs(hash(request.node.name)) % 10**8}"
    made = await aws.call(
        "ecs",
        "register_task_definition",
        family=family,
        requiresCompatibilities=["FARGATE"],
        networkMode="awsvpc",
        cpu="256",
        memory="512",
        containerDefinitions=[
            {
                "name": "storage",
                "image": f"{IMAGE}old",
                "memory": 512,
                "environment": [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}],
                "portMappings": [{"containerPort": 8080}],
            }
        ],
        tags=[{"key": "team", "value": "storage"}],
    )
    return made["taskDefinition"]["taskDefinitionArn"]


async def test_weights_move_and_are_read_back_and_stickiness_stays(aws, rule):
    arn, blue, green = rule
    elb = Elb(aws)
    before = await elb.rule(arn)
    assert (before.weights, before.sticky) == ({blue: 100, green: 0}, True)
    await elb.set_weights(arn, {blue: 5, green: 95})
    await elb.set_weights(arn, {blue: 5, green: 95})
    after = await elb.rule(arn)
    assert (after.weights, after.sticky) == ({blue: 5, green: 95}, True)
    described = await aws.call("elbv2", "describe_rules", RuleArns=[arn])
    (action,) = described["Rules"][0]["Actions"]
    assert action["ForwardConfig"]["TargetGroupStickinessConfig"] == {"Enabled": True, "DurationSeconds": 60}


async def test_weights_of_a_foreign_group_leave_the_rule_as_it_was(aws, rule):
    arn, blue, green = rule
    with pytest.raises(Refused, match="nothing was changed"):
        await Elb(aws).set_weights(arn, {blue: 100, f"{green}x": 0})
    assert (await Elb(aws).rule(arn)).weights == {blue: 100, green: 0}


async def test_a_rule_and_a_group_that_do_not_exist_are_not_found(aws, rule):
    arn, blue, _ = rule
    with pytest.raises(NotFound):
        await Elb(aws).rule(arn[:-4] + "0000")
    with pytest.raises(NotFound):
        await Elb(aws).group(blue[:-4] + "0000")
    with pytest.raises(NotFound):
        await Elb(aws).health(blue[:-4] + "0000")


async def test_targets_of_a_group_are_counted(aws, rule):
    _, blue, green = rule
    targets = [{"Id": f"172.31.0.{number}", "Port": 8080} for number in (10, 11)]
    await aws.call("elbv2", "register_targets", TargetGroupArn=blue, Targets=targets)
    health = await Elb(aws).health(blue)
    assert (health.healthy, health.total) == (2, 2)
    assert (await Elb(aws).health(green)).total == 0


async def test_a_group_tells_its_settings(aws, rule):
    _, blue, _ = rule
    wanted = {"stickiness.enabled": "true", "deregistration_delay.timeout_seconds": "30"}
    attributes = [{"Key": key, "Value": value} for key, value in wanted.items()]
    await aws.call("elbv2", "modify_target_group_attributes", TargetGroupArn=blue, Attributes=attributes)
    group = await Elb(aws).group(blue)
    assert (group.sticky, group.deregistration_delay) == (True, timedelta(seconds=30))
    assert (group.interval, group.healthy_threshold) == (timedelta(seconds=10), 3)


async def test_the_same_image_gives_the_same_revision_every_time(aws, base):
    ecs = Ecs(aws)
    first = await ecs.revision_for(base, "storage", f"{IMAGE}new")
    assert first != base
    assert await ecs.revision_for(base, "storage", f"{IMAGE}new") == first
    assert await ecs.revision_for(first, "storage", f"{IMAGE}new") == first
    assert await ecs.revision_for(first, "storage", f"{IMAGE}old") == base
    assert (await ecs.image(first, "storage"), await ecs.image(base, "storage")) == (f"{IMAGE}new", f"{IMAGE}old")


async def test_a_new_revision_keeps_everything_but_the_image(aws, base):
    made = await Ecs(aws).revision_for(base, "storage", f"{IMAGE}new")
    old, new = [
        await aws.call("ecs", "describe_task_definition", taskDefinition=arn, include=["TAGS"]) for arn in (base, made)
    ]
    assert new["tags"] == old["tags"] == [{"key": "team", "value": "storage"}]
    (was,), (is_now,) = (each["taskDefinition"]["containerDefinitions"] for each in (old, new))
    assert is_now == {**was, "image": f"{IMAGE}new"}
    assert new["taskDefinition"]["memory"] == old["taskDefinition"]["memory"]


async def test_a_revision_with_another_memory_is_not_reused(aws, base):
    ecs = Ecs(aws)
    first = await ecs.revision_for(base, "storage", f"{IMAGE}new")
    described = await aws.call("ecs", "describe_task_definition", taskDefinition=first)
    kept = ("family", "requiresCompatibilities", "networkMode", "cpu", "containerDefinitions")
    content = {key: described["taskDefinition"][key] for key in kept}
    grown = await aws.call("ecs", "register_task_definition", **content, memory="1024")
    larger = grown["taskDefinition"]["taskDefinitionArn"]
    assert await ecs.revision_for(base, "storage", f"{IMAGE}new") == first
    assert await ecs.revision_for(larger, "storage", f"{IMAGE}new") == larger


async def test_a_service_is_changed_absolutely_and_read_back(aws, base):
    ecs, cluster = Ecs(aws), base.rpartition("/")[2].replace(":", "-")
    await aws.call("ecs", "create_cluster", clusterName=cluster)
    await aws.call("ecs", "create_service", cluster=cluster, serviceName="blue", taskDefinition=base, desiredCount=0)
    before = await ecs.service(cluster, "blue")
    assert (before.name, before.task_definition, before.desired, before.deployments) == ("blue", base, 0, 1)
    await ecs.update(cluster, "blue", desired=3)
    await ecs.update(cluster, "blue", desired=3)
    assert (await ecs.service(cluster, "blue")).desired == 3
    assert await ecs.running_images(cluster, "blue") == ()


async def test_a_missing_service_or_cluster_is_not_found(aws, base):
    cluster = base.rpartition("/")[2].replace(":", "-")
    with pytest.raises(NotFound):
        await Ecs(aws).service(cluster, "blue")
    await aws.call("ecs", "create_cluster", clusterName=cluster)
    with pytest.raises(NotFound, match="blue is not in cluster"):
        await Ecs(aws).service(cluster, "blue")
    with pytest.raises(NotFound):
        await Ecs(aws).update(cluster, "blue", desired=1)


async def test_an_image_has_a_digest_a_tag_and_an_address(aws):
    ecr = Ecr(aws)
    await aws.call("ecr", "create_repository", repositoryName="storage")
    for tag in ("v0.0.9", "v0.1.0"):
        layer = {"digest": f"sha256:{tag.encode().hex():0>64}", "size": 1, "mediaType": "m"}
        manifest = json.dumps({"schemaVersion": 2, "mediaType": "m", "config": layer, "layers": [layer]})
        await aws.call("ecr", "put_image", repositoryName="storage", imageManifest=manifest, imageTag=tag)
    assert (await ecr.digest("storage", "v0.1.0")).startswith("sha256:")
    assert set(await ecr.tags("storage")) == {"v0.0.9", "v0.1.0"}
    assert (await ecr.uri("storage")).endswith("/storage")
    with pytest.raises(NotFound, match=r"storage:v9\.9\.9 is not in the registry"):
        await ecr.digest("storage", "v9.9.9")
    with pytest.raises(NotFound, match="RepositoryNotFoundException"):
        await ecr.digest("nowhere", "v0.1.0")
    with pytest.raises(NotFound):
        await ecr.uri("nowhere")


async def test_scaling_in_is_suspended_and_resumed_within_its_limits(aws, base):
    scaling, cluster = Scaling(aws), base.rpartition("/")[2].replace(":", "-")
    await aws.call("ecs", "create_cluster", clusterName=cluster)
    await aws.call("ecs", "create_service", cluster=cluster, serviceName="blue", taskDefinition=base)
    assert await scaling.suspend_scale_in(cluster, "blue") is False
    target = {
        "ServiceNamespace": "ecs",
        "ResourceId": f"service/{cluster}/blue",
        "ScalableDimension": "ecs:service:DesiredCount",
    }
    await aws.call("application-autoscaling", "register_scalable_target", **target, MinCapacity=2, MaxCapacity=6)
    assert await scaling.suspend_scale_in(cluster, "blue") is True
    assert await scalable(aws, target) == (2, 6, True)
    assert await scaling.resume(cluster, "blue") is True
    assert await scalable(aws, target) == (2, 6, False)


async def scalable(aws, target):
    asked = {"ServiceNamespace": "ecs", "ResourceIds": [target["ResourceId"]]}
    answer = await aws.call("application-autoscaling", "describe_scalable_targets", **asked)
    (found,) = answer["ScalableTargets"]
    return found["MinCapacity"], found["MaxCapacity"], found["SuspendedState"]["DynamicScalingInSuspended"]
