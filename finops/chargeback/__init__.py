"""What a statement is and how costs are split among cost centres; pure."""
