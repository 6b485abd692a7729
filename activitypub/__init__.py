"""ActivityPub as a library: documents, signatures, discovery, a guarded client. No database, no hub."""
