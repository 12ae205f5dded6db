"""auth, team, users, user groups, and the ticket for a websocket."""

from bot.sandbox.slack.calls import Call, Method
from bot.sandbox.slack.records import APP, BOT, BOT_USER, TEAM, ApiError, Group, Json, User

TEAM_NAME = "LLM Observatory"


def _auth(call: Call) -> Json:
    return {
        "url": f"{call.base}/",
        "team": TEAM_NAME,
        "user": call.workspace.users[BOT_USER].handle,
        "team_id": TEAM,
        "user_id": BOT_USER,
        "bot_id": BOT,
        "app_id": APP,
        "is_enterprise_install": False,
    }


def _connect(call: Call) -> Json:
    socket = call.base.replace("http", "ws", 1)
    return {"url": f"{socket}/link/?ticket={call.grants.ticket()}&app_id={APP}"}


def _team(call: Call) -> Json:
    return {"team": {"id": TEAM, "name": TEAM_NAME, "domain": "sandbox", "url": f"{call.base}/"}}


def _user(call: Call) -> Json:
    user = call.workspace.users.get(call.need("user"))
    if user is None:
        raise ApiError("user_not_found")
    return {"user": _shown(user)}


def _users(call: Call) -> Json:
    return {
        "members": [_shown(user) for user in call.workspace.users.values()],
        "response_metadata": {"next_cursor": ""},
    }


def _by_email(call: Call) -> Json:
    email = call.need("email").lower()
    for user in call.workspace.users.values():
        if user.email == email:
            return {"user": _shown(user)}
    raise ApiError("users_not_found")


def _groups(call: Call) -> Json:
    wanted = call.flag("include_users")
    return {"usergroups": [_group(group, with_users=wanted) for group in call.workspace.groups.values()]}


def _group_users(call: Call) -> Json:
    group = call.workspace.groups.get(call.need("usergroup"))
    if group is None:
        raise ApiError("no_such_subteam")
    return {"users": list(group.members)}


def _group(group: Group, *, with_users: bool) -> Json:
    shown: Json = {
        "id": group.id,
        "team_id": TEAM,
        "is_usergroup": True,
        "name": group.name,
        "handle": group.handle,
        "user_count": len(group.members),
        "date_delete": 0,
    }
    return shown | ({"users": list(group.members)} if with_users else {})


def _shown(user: User) -> Json:
    profile = {"real_name": user.name, "display_name": user.handle, "email": user.email, "title": user.title}
    return {
        "id": user.id,
        "team_id": TEAM,
        "name": user.handle,
        "real_name": user.name,
        "deleted": False,
        "is_bot": user.is_bot,
        "tz": "Etc/UTC",
        "tz_offset": 0,
        "profile": {name: value for name, value in profile.items() if value},
    }


METHODS: dict[str, Method] = {
    "api.test": lambda _call: {},
    "auth.test": _auth,
    "apps.connections.open": _connect,
    "team.info": _team,
    "users.info": _user,
    "users.list": _users,
    "users.lookupByEmail": _by_email,
    "usergroups.list": _groups,
    "usergroups.users.list": _group_users,
}
