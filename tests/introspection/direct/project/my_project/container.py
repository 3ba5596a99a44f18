from innereye_runtime import LightningContainer


class Brain(LightningContainer):
    num_epochs = 3
