"""What a page says after a change, by the word in its address: texts of ours only, never a
visitor's."""

from __future__ import annotations

from typing import Final


def N_(message: str) -> str:
    """Mark a text for the catalogues; it is translated when it is shown."""
    return message


NOTICES: Final = {
    "saved": N_("Saved."),
    "posted": N_("Posted."),
    "waits": N_("It waits for a moderator, and is shown once it is let in."),
    "draft_saved": N_("Saved as a draft."),
    "draft_deleted": N_("The draft is deleted."),
    "edited": N_("Your changes are saved."),
    "deleted": N_("Deleted here, and asked back from the servers that had it."),
    "removed": N_("Removed."),
    "decided_host": N_("Done. It can be undone under “What was changed”."),
    "undone": N_("Undone. What the change had taken away is back."),
    "discarded": N_("Thrown away. Nothing has changed."),
    "list_applied": N_("The list is applied. It can be undone under “What was changed”."),
    "joined": N_("Welcome! You are a member of this group now."),
    "requested": N_("Your request is waiting for an answer."),
    "left": N_("You have left the group."),
    "followed": N_("You follow them now."),
    "unfollowed": N_("You do not follow them any more."),
    "accepted": N_("Accepted."),
    "refused": N_("Refused."),
    "brought": N_("It is here, and is being read now."),
    "taken_back": N_("All of it is being taken back."),
    "password": N_("Your password is changed. All other sessions have ended."),
    "blocked": N_("You have blocked them. They are not told here."),
    "muted": N_("You have muted them. Nobody is told."),
    "unavoided": N_("You can meet them again."),
    "moved": N_("Your account has moved, and your followers are being told."),
    "unquoted": N_("Your consent is taken back. Servers that show the quote are told."),
    "voted": N_("Your vote is counted."),
    "event_joined": N_("You come. The organiser can see it."),
    "event_left": N_("You do not come any more."),
    "group_moved": N_("The group has moved, and its members are being told."),
    "group_closed": N_("The group is closed. What was written in it is being erased everywhere."),
    "session": N_("The session has ended."),
    "sessions": N_("All other sessions have ended."),
    "goodbye": N_("You are logged out."),
    "pinned": N_("Pinned to the top of the group."),
    "unpinned": N_("No longer pinned."),
    "locked": N_("The thread is closed."),
    "unlocked": N_("The thread is open again."),
    "suspended": N_("The account is suspended."),
    "reinstated": N_("The account is active again."),
    "created": N_("Created."),
    "reported": N_("Thank you. A moderator will look at it."),
    "decided": N_("Decided. Those concerned are told."),
    "restored": N_("It is shown again."),
    "appealed": N_("Your appeal is on its way. Somebody else decides it."),
    "answered": N_("The appeal is decided."),
    "banned": N_("They are banned from the group."),
    "unbanned": N_("The ban is lifted."),
    "hidden": N_("Hidden here."),
    "consent_granted": N_("Saved. It holds for what you write from now on."),
    "consent_withdrawn": N_("Saved. Nothing new leaves; earlier copies are being asked back."),
    "copy_asked": N_("Your file is being made. Come back in a minute."),
    "hold_placed": N_("Held."),
    "hold_released": N_("The hold has ended. What it alone kept is erased now."),
    "erasing": N_("The erasure has begun."),
    "read": N_("All marked as read."),
}
