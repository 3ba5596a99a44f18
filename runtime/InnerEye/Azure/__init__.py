"""Settings of a job in Azure, under their old name."""  # noqa: N999

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)  # modules of these packages in the user's own checkout are found too
