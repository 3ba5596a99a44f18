"""The import paths of InnerEye's successor, hi-ml. Everything here comes from `innereye_runtime`."""
