"""The commands behind `gonka`, one module for each group; shown by `screen`."""
