"""Where learning begins: models made from the data alone, a module for each family."""
