"""A stand-in for the part of Azure that azure-ai-ml talks to: one workspace on this machine, no cloud, no account.

`azureml_emulator.emulator.Cloud` is all of it together. The SDK and the product stay as they are: they are led
here by environment variables alone. `azureml_emulator.limits` lists what is not modelled. A request takes this
way: `network` leads it here, `checker` holds it against the published description, `services` answers it from the
`workspace`, `storage` has the blobs, `jobs` runs what was submitted.
"""
