"""An emulator of the part of Azure Machine Learning that azure-ai-ml uses: one workspace on this machine, without a
cloud or an account.

`azureml_emulator.emulator.Emulator` is the whole of it. The SDK and the program under test stay as they are:
environment variables alone direct them to the emulator. `azureml_emulator.limits` lists what is not modelled. A request
passes through these packages: `network` routes it to this machine, `services` answers it from the `state` of the
workspace, `storage` holds the blobs, and `jobs` runs what was submitted in the local Docker engine.
"""

__version__ = "0.1.0"
