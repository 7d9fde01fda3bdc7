"""How far probabilities can be believed: calibration, prediction sets, abstention, novelty."""
