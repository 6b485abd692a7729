"""Why a peer never does something: the notes below the matrix."""

NO_DOWNVOTES = "Knows no downvotes."
NO_FOREIGN_MODERATION = (
    "Has no threads of groups, so none of its people can moderate a group of ours."
)
NO_GROUPS = "Has no groups that others could follow."
NO_POLLS = "Knows no polls."
NO_VOTES_SENT = "Shows our polls, but has no way to vote in them."
NO_MOVE = "Cannot move an account away."
NO_BLOCKS_SENT = "Keeps blocks between people to itself."
NO_BOOSTS = "Its people cannot share."
NO_QUOTES = "Writes no quotes; a link is a link."
NO_REPORTS_SENT = "Sends no reports to other servers."
NO_MESSAGES = "Sends no private messages to other servers."
NO_EDITS_OF_POSTS = "Its posts cannot be edited."
NO_PEOPLE_WRITING = "Its people write only in answer to something of its own."

MODERATES_NOT = dict.fromkeys(("remove", "lock", "pin", "ban"), NO_FOREIGN_MODERATION)
"""For microblogs."""

BOOSTS_AS_GROUP_NOT = dict.fromkeys(
    ("group topic", "group edit", "group delete", "group vote"), NO_GROUPS
)
