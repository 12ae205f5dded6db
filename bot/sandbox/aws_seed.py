"""Builds what exists in AWS before the story begins: registry, clusters, services, load balancers and rules.

Everything goes through boto3 against the emulation, so botocore checks each request against AWS's own service models.
"""

import os
from dataclasses import asdict, dataclass
from typing import Any

import boto3
from botocore.config import Config
from moto.ec2.models import ec2_backends
from moto.ecr.models import ecr_backends

from bot.sandbox import places, releases

# Runbook-like numbers, in the world's own seconds: healthy after 2 checks of 10 s, drained after a minute.
_HEALTH_CHECK = {
    "HealthCheckPath": "/health",
    "HealthCheckIntervalSeconds": 10,
    "HealthCheckTimeoutSeconds": 5,
    "HealthyThresholdCount": 2,
    "UnhealthyThresholdCount": 2,
}
_DRAIN_SECONDS = "60"
_DAY_SECONDS = 86_400


@dataclass(frozen=True, kw_only=True)
class Built:
    """The ARNs of one environment: its rule and its target groups by colour."""

    listener_rule: str
    groups: dict[str, str]


class Builder:
    """Holds the boto3 clients while the world is built."""

    def __init__(self, endpoint: str) -> None:
        config = Config(retries={"mode": "standard", "total_max_attempts": 1}, connect_timeout=3, read_timeout=10)
        session: Any = boto3.session.Session(region_name=releases.REGION)
        keys = {
            "aws_access_key_id": places.CREDENTIALS["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": places.CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        }
        self._clients: dict[str, Any] = {
            name: session.client(name, endpoint_url=endpoint, config=config, **keys)
            for name in ("ecr", "ecs", "elbv2", "application-autoscaling")
        }

    def build(self) -> dict[str, dict[str, object]]:
        """Build everything and return the ARNs by environment."""
        self._registry()
        # Read from the model: botocore's description of EC2 alone would cost this process tens of megabytes.
        subnets = ec2_backends[releases.ACCOUNT][releases.REGION].describe_subnets()
        network, two = subnets[0].vpc_id, [subnet.id for subnet in subnets[:2]]
        return {place.name: asdict(self._environment(place, network, two)) for place in places.PLACES.values()}

    def _registry(self) -> None:
        ecr = self._clients["ecr"]
        ecr.create_repository(repositoryName=releases.REPOSITORY, imageTagMutability="IMMUTABLE")
        for release in releases.RELEASES.values():
            ecr.put_image(
                repositoryName=releases.REPOSITORY,
                imageManifest=release.manifest,
                imageManifestMediaType=releases.MANIFEST_TYPE,
                imageTag=release.version,
                imageDigest=release.digest,
            )

    def _environment(self, place: places.Place, network: str, subnets: list[str]) -> Built:
        elb = self._clients["elbv2"]
        balancer = elb.create_load_balancer(Name=place.cluster, Subnets=subnets, Type="application")["LoadBalancers"][0]
        groups = {colour: self._group(place, colour, network) for colour in places.COLOURS}
        listener = elb.create_listener(
            LoadBalancerArn=balancer["LoadBalancerArn"],
            Protocol="HTTP",
            Port=80,
            DefaultActions=[
                {
                    "Type": "fixed-response",
                    "FixedResponseConfig": {"StatusCode": "404", "ContentType": "text/plain", "MessageBody": "no rule"},
                }
            ],
        )["Listeners"][0]["ListenerArn"]
        for priority, colour in enumerate(places.COLOURS, 10):
            self._test_rule(listener, priority, colour, groups[colour])
        rule = elb.create_rule(
            ListenerArn=listener,
            Priority=100,
            Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/*"]}}],
            Actions=[_forward({groups["blue"]: 100, groups["green"]: 0})],
        )["Rules"][0]["RuleArn"]
        self._services(place, groups, subnets)
        return Built(listener_rule=rule, groups=groups)

    def _group(self, place: places.Place, colour: str, network: str) -> str:
        elb = self._clients["elbv2"]
        arn: str = elb.create_target_group(
            Name=f"storage-{place.name}-{colour}",
            Protocol="HTTP",
            Port=8080,
            VpcId=network,
            TargetType="ip",
            **_HEALTH_CHECK,
        )["TargetGroups"][0]["TargetGroupArn"]
        elb.modify_target_group_attributes(
            TargetGroupArn=arn, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": _DRAIN_SECONDS}]
        )
        return arn

    def _test_rule(self, listener: str, priority: int, colour: str, group: str) -> None:
        header = {"HttpHeaderName": places.TEST_HEADER, "Values": [colour]}
        self._clients["elbv2"].create_rule(
            ListenerArn=listener,
            Priority=priority,
            Conditions=[{"Field": "http-header", "HttpHeaderConfig": header}],
            Actions=[_forward({group: 1})],
        )

    def _services(self, place: places.Place, groups: dict[str, str], subnets: list[str]) -> None:
        ecs = self._clients["ecs"]
        ecs.create_cluster(clusterName=place.cluster)
        for colour, version, desired in (("blue", releases.LIVE, place.desired), ("green", releases.OLD, 0)):
            ecs.create_service(
                cluster=place.cluster,
                serviceName=places.service_name(colour),
                taskDefinition=self._definition(place, colour, releases.RELEASES[version]),
                desiredCount=desired,
                launchType="FARGATE",
                loadBalancers=[
                    {"targetGroupArn": groups[colour], "containerName": places.CONTAINER, "containerPort": 8080}
                ],
                networkConfiguration={"awsvpcConfiguration": {"subnets": subnets, "securityGroups": []}},
                deploymentConfiguration={
                    "deploymentCircuitBreaker": {"enable": True, "rollback": False},
                    "minimumHealthyPercent": 100,
                    "maximumPercent": 200,
                },
            )
            self._clients["application-autoscaling"].register_scalable_target(
                ServiceNamespace="ecs",
                ResourceId=f"service/{place.cluster}/{places.service_name(colour)}",
                ScalableDimension="ecs:service:DesiredCount",
                MinCapacity=0,
                MaxCapacity=place.desired * 3,
            )

    def _definition(self, place: places.Place, colour: str, release: releases.Release) -> str:
        arn: str = self._clients["ecs"].register_task_definition(
            family=f"storage-{place.name}-{colour}",
            requiresCompatibilities=["FARGATE"],
            networkMode="awsvpc",
            cpu="1024",
            memory="2048",
            containerDefinitions=[
                {
                    "name": places.CONTAINER,
                    "image": release.image,
                    "essential": True,
                    "memory": 2048,
                    "portMappings": [{"containerPort": 8080, "protocol": "tcp"}],
                    "environment": [
                        {"name": "APP_ENV", "value": place.name},
                        {"name": "STORAGE_COLOUR", "value": colour},
                    ],
                }
            ],
            tags=[{"key": "service", "value": "storage"}, {"key": "environment", "value": place.name}],
        )["taskDefinition"]["taskDefinitionArn"]
        return arn


def build(endpoint: str) -> dict[str, dict[str, object]]:
    """Build the world's AWS at an endpoint; return for each environment its rule and its groups."""
    # boto3 must not look for profiles or instance metadata of the machine it happens to run on.
    os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")
    return Builder(endpoint).build()


def date_images() -> None:
    """Let each release be a day older than the next; the API itself takes no dates."""
    images = ecr_backends[releases.ACCOUNT][releases.REGION].repositories[releases.REPOSITORY].images
    for age, image in enumerate(reversed(images)):
        image.image_pushed_at -= age * _DAY_SECONDS


def _forward(groups: dict[str, int]) -> dict[str, object]:
    return {
        "Type": "forward",
        "ForwardConfig": {
            "TargetGroups": [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in groups.items()],
            "TargetGroupStickinessConfig": {"Enabled": False},
        },
    }
