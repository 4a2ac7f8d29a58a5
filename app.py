"""The app's entry: `make run`, `vlmcar app`, or `streamlit run app.py`."""

import sys

import streamlit as st

from vlmcar_core.errors import BadInput
from vlmcar_studio import guard, server

try:
    guard.check_options()
except BadInput as error:
    sys.exit(f"vlmcar app: {error}")
app = st.App(
    server.ROUTER,
    routes=server.ROUTES,
    middleware=server.MIDDLEWARE,
    lifespan=server.lifespan,
    exception_handlers={Exception: guard.fault},
)
