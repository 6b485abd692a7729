"""How other servers speak: one module for each, with what it sends as data, and what is expected of us."""
