"""What survives which failure: hosts that refuse, hang, lie and come back, under load."""
