"""Import clips, pre-train encoders on them, evaluate and export them. Uses torch; the server never imports this."""
