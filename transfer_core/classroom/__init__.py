"""The class of a server: its people, who a visitor is, and the rights of its teacher."""
