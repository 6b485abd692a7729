"""Why a peer never does something: the notes below the matrix."""

NO_DOWNVOTES = "Knows no downvotes."
NO_FOREIGN_MODERATION = (
    "Has no threads of groups, so none of its people can moderate a group of ours."
)
NO_GROUPS = "Has no groups that others could follow."
NO_POLLS = "Knows no polls."
NO_VOTES_SENT = "Shows our polls, but has no way to vote in them."
NO_MOVE = "No form is known to us in which it moves an account."
NO_BLOCKS_SENT = "No form is known to us in which it tells of blocks between people."
NO_BOOSTS = "Its people cannot share."
NO_QUOTES = "No form is known to us in which it quotes."
NO_REPORTS_SENT = "No form is known to us in which it reports to other servers."
NO_MESSAGES = "No form is known to us in which its people write to one person."

MODERATES_NOT = dict.fromkeys(("remove", "lock", "pin", "ban", "appoint"), NO_FOREIGN_MODERATION)
"""For microblogs."""

BOOSTS_AS_GROUP_NOT = dict.fromkeys(
    ("group topic", "group edit", "group delete", "group vote"), NO_GROUPS
)
