"""Containers of sound and video: what a file is, and how it is stored without what it tells of its maker.

Each module reads one container, decodes nothing, and answers with a `Plan`: which bytes are kept and
which of them are overwritten. What is not known to belong to picture or sound is blanked in place, so
no address inside the file moves. All of them raise `Unreadable` for anything doubtful, and every loop
is bounded by the size of the file.
"""
