"""`innereye-run`: one file per command. The only rooms that print or exit; what they do is done by the rooms below."""
