"""What a correction corrects: fact, tone or clarity, with a calibrated confidence."""
