"""The demonstration: two small communities that look lived in, as data, and what puts them there."""
