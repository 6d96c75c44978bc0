"""What others' validators say of what is written for other tools."""
