"""The ActivityPub spoke: what comes in becomes operations of the hub, what the journal tells goes out.

in    reception (verify, make durable, 202) -> intake (lanes) -> handlers -> operations of the hub
out   journal -> outbox (render once) -> deliveries -> couriers -> inboxes, ledger of reach
"""
