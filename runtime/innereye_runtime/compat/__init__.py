"""What containers and commands of other toolboxes need here: their names, their options, and what became of them."""
