"""The emoji shortcodes that operations messages use; an unknown one stays as it was written."""

from typing import Final

EMOJI: Final = {
    "white_check_mark": "✅", "heavy_check_mark": "✔️", "ballot_box_with_check": "☑️", "x": "❌", "warning": "⚠️",
    "no_entry": "⛔", "no_entry_sign": "🚫", "rotating_light": "🚨", "red_circle": "🔴", "large_red_circle": "🔴",
    "large_green_circle": "🟢", "large_yellow_circle": "🟡", "large_orange_circle": "🟠", "large_blue_circle": "🔵",
    "white_circle": "⚪", "black_circle": "⚫", "large_blue_square": "🟦", "large_green_square": "🟩",
    "hourglass": "⌛", "hourglass_flowing_sand": "⏳", "stopwatch": "⏱️", "alarm_clock": "⏰", "clock1": "🕐",
    "rocket": "🚀", "ship": "🚢", "package": "📦", "hatching_chick": "🐣", "baby_chick": "🐤", "bird": "🐦",
    "rewind": "⏪", "leftwards_arrow_with_hook": "↩️", "arrow_right": "➡️", "arrow_left": "⬅️", "arrow_up": "⬆️",
    "arrow_down": "⬇️", "arrows_counterclockwise": "🔄", "double_vertical_bar": "⏸️", "pause_button": "⏸️",
    "arrow_forward": "▶️", "stop_button": "⏹️", "octagonal_sign": "🛑", "construction": "🚧", "lock": "🔒",
    "unlock": "🔓", "key": "🔑", "shield": "🛡️", "snowflake": "❄️", "fire": "🔥", "fire_engine": "🚒", "boom": "💥",
    "eyes": "👀", "wave": "👋", "tada": "🎉", "thumbsup": "👍", "+1": "👍", "thumbsdown": "👎", "-1": "👎",
    "raised_hand": "✋", "point_right": "👉", "bell": "🔔", "no_bell": "🔕", "pager": "📟", "telephone_receiver": "📞",
    "phone": "☎️", "mega": "📣", "loudspeaker": "📢", "memo": "📝", "clipboard": "📋", "page_facing_up": "📄",
    "book": "📖", "bookmark_tabs": "📑", "link": "🔗", "mag": "🔍", "bulb": "💡", "gear": "⚙️", "wrench": "🔧",
    "hammer_and_wrench": "🛠️", "chart_with_upwards_trend": "📈", "chart_with_downwards_trend": "📉", "bar_chart": "📊",
    "floppy_disk": "💾", "file_cabinet": "🗄️", "card_file_box": "🗃️", "elephant": "🐘", "turtle": "🐢",
    "robot_face": "🤖", "information_source": "ℹ️",  # noqa: RUF001 -- the emoji itself
    "question": "❓", "exclamation": "❗", "bust_in_silhouette": "👤", "calendar": "📅",
    "busts_in_silhouette": "👥", "sparkles": "✨", "zap": "⚡", "heart": "❤️", "new": "🆕", "ok": "🆗", "sos": "🆘",
    "one": "1️⃣", "two": "2️⃣", "three": "3️⃣", "four": "4️⃣",
}  # fmt: skip
