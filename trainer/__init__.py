"""Import clips, pre-train encoders on them, evaluate and export the encoders. The server never imports this package."""
