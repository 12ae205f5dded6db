import botocore.session
import pytest

from bot.clients import definitions


def test_all_that_is_not_read_only_can_be_registered_again():
    model = botocore.session.get_session().get_service_model("ecs")
    described = set(model.shape_for("TaskDefinition").members)
    accepted = set(model.operation_model("RegisterTaskDefinition").input_shape.members)
    assert described - definitions.READ_ONLY <= accepted
    assert not definitions.READ_ONLY & accepted


def test_changing_the_content_leaves_the_original_alone():
    original = {"family": "f", "revision": 3, "containerDefinitions": [{"name": "a", "image": "old"}]}
    copy = definitions.content(original)
    definitions.container(copy, "a")["image"] = "new"
    assert copy == {"family": "f", "containerDefinitions": [{"name": "a", "image": "new"}]}
    assert original["containerDefinitions"] == [{"name": "a", "image": "old"}]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"cpu": "1"}, {"cpu": "1", "volumes": [], "proxyConfiguration": {}, "pidMode": None}, True),
        ({"environment": [{"name": "a"}, {"name": "b"}]}, {"environment": [{"name": "b"}, {"name": "a"}]}, True),
        ({"command": ["a", "b"]}, {"command": ["b", "a"]}, False),
        ({"cpu": "1"}, {"cpu": "2"}, False),
        ({"cpu": 0}, {}, False),
        ({"privileged": False}, {}, False),
    ],
)
def test_order_counts_only_where_it_means_something(one, other, same):
    assert definitions.same(one, other) is same


def test_a_revision_is_the_number_at_the_end():
    assert definitions.revision("arn:aws:ecs:us-east-1:1:task-definition/storage:42") == 42
