"""What runs on the device while a session lasts: sent as text, standard library only, nothing left behind."""
