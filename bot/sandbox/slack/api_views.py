"""views.*: modals need a fresh trigger id, home tabs a user."""

from bot.sandbox.slack import validate, views
from bot.sandbox.slack.calls import Call, Method
from bot.sandbox.slack.records import ApiError, Json, View


def _open(call: Call) -> Json:
    content = _checked(call)
    return _shown(views.open_modal(call.workspace, call.grants.spend_trigger(call.need("trigger_id")), content))


def _push(call: Call) -> Json:
    content = _checked(call)
    return _shown(views.push(call.workspace, call.grants.spend_trigger(call.need("trigger_id")), content))


def _update(call: Call) -> Json:
    view = views.find(call.workspace, call.text("view_id") or None, call.text("external_id") or None)
    return _shown(views.update(call.workspace, view, _checked(call), call.text("hash") or None))


def _publish(call: Call) -> Json:
    user = call.workspace.find_user(call.need("user_id"))
    content = _checked(call)
    if content["type"] != "home":
        raise ApiError("invalid_arguments")
    return _shown(views.publish(call.workspace, user.id, content, call.text("hash") or None))


def _checked(call: Call) -> Json:
    # Before the trigger id is spent: a refused view leaves it usable, as in Slack.
    validate.refuse(validate.view(call.arguments.get("view")), "invalid_arguments")
    content: Json = call.arguments["view"]
    return content


def _shown(view: View) -> Json:
    return {"view": views.as_json(view)}


METHODS: dict[str, Method] = {
    "views.open": _open,
    "views.push": _push,
    "views.update": _update,
    "views.publish": _publish,
}
