"""the verbs, one file each: design plan scaffold submit watch cancel logs collect report"""
