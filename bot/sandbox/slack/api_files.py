"""files.*: Slack's three-step upload: ask for a URL, send the bytes, complete and share."""

from aiohttp import web

from bot.sandbox.slack.calls import Call, Method
from bot.sandbox.slack.records import BOT_USER, ApiError, Json, Message, StoredFile
from bot.sandbox.slack.workspace import Workspace


def _begin(call: Call) -> Json:
    name = call.need("filename")
    if call.number("length", 0) <= 0:
        raise ApiError("invalid_arguments")
    file = StoredFile(id=call.workspace.next_id("F0"), name=name, title=name)
    call.workspace.files[file.id] = file
    return {"upload_url": f"{call.base}/upload/{file.id}", "file_id": file.id}


def _complete(call: Call) -> Json:
    files = [_finish(call.workspace, given) for given in call.arguments.get("files") or []]
    if not files:
        raise ApiError("invalid_arguments")
    place = call.text("channel_id") or call.text("channels")
    if place:
        _share(call, place, files)
    return {"files": [_shown(call, file) for file in files]}


def _info(call: Call) -> Json:
    file = call.workspace.files.get(call.need("file"))
    if file is None:
        raise ApiError("file_not_found")
    return {"file": _shown(call, file)}


def _share(call: Call, place: str, files: list[StoredFile]) -> None:
    channel = call.workspace.find_channel(place)
    if BOT_USER not in channel.members:
        raise ApiError("not_in_channel")
    for file in files:
        file.shared = True
    call.workspace.post(
        Message(
            channel=channel.id,
            ts=call.workspace.next_ts(),
            user=BOT_USER,
            text=call.text("initial_comment"),
            thread_ts=call.text("thread_ts") or None,
            files=[file.id for file in files],
        )
    )


def _finish(workspace: Workspace, given: Json) -> StoredFile:
    file = workspace.files.get(given.get("id", ""))
    if file is None or not file.content:
        raise ApiError("file_not_found")
    file.title = given.get("title") or file.title
    return file


def _shown(call: Call, file: StoredFile) -> Json:
    link = f"{call.base}/files/{file.id}"
    return {
        "id": file.id,
        "name": file.name,
        "title": file.title,
        "size": len(file.content),
        "url_private": link,
        "permalink": link,
        "is_public": file.shared,
    }


async def receive(workspace: Workspace, request: web.Request) -> web.Response:
    """Take the bytes of an upload, raw or as a multipart form."""
    file = workspace.files.get(request.match_info["file"])
    if file is None:
        return web.Response(status=404)
    if request.content_type.startswith("multipart/"):
        form = await request.post()
        fields = [field for field in form.values() if isinstance(field, web.FileField)]
        file.content = fields[0].file.read() if fields else b""
    else:
        file.content = await request.read()
    return web.Response(text=f"OK - {len(file.content)}")


def send(workspace: Workspace, request: web.Request) -> web.Response:
    """Return the bytes of an uploaded file as a download, never as a page."""
    file = workspace.files.get(request.match_info["file"])
    if file is None:
        return web.Response(status=404)
    image = file.name.endswith(".png")
    headers = {
        "X-Content-Type-Options": "nosniff",
        "Content-Type": "image/png" if image else "application/octet-stream",
    }
    return web.Response(body=file.content, headers=headers)


METHODS: dict[str, Method] = {
    "files.getUploadURLExternal": _begin,
    "files.completeUploadExternal": _complete,
    "files.info": _info,
}
