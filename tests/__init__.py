"""unit / contracts / integration / e2e / architecture / fakes"""
