"""The seed system's import paths. Everything here comes from `innereye_runtime`; new containers import that."""  # noqa: N999
