"""What operators tell everybody who uses the console."""

from modellix_server.announcements.store import (
    Announcement,
    add_announcement,
    current_announcements,
    end_announcement,
    list_announcements,
)
