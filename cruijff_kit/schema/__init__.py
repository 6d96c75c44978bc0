"""the nouns: frozen models, no behaviour beyond validation"""
