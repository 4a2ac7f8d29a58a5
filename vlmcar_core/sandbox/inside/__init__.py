"""What runs in the zygote and in the workers that it forks; the app imports only `wire` from here."""
