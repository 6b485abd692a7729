"""The hub: members, groups, threads and their rules. It knows no HTTP, no ActivityPub and no
template.

Operations take an open `Transaction`, change rows and append one journal entry; whoever calls opens
the transaction.
Reads take a `Reader` and a `Viewer`; what a viewer may see is decided by `fedcomm.hub.visibility`
alone.
"""
