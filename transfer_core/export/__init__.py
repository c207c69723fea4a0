"""What a person takes away: a trained model in other programs' formats, with a proof that it answers the same."""
