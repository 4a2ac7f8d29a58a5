"""The app's entry: `make run`, `vlmcar app`, or `streamlit run app.py`."""

import streamlit as st

from vlmcar_studio import server

app = st.App(server.ROUTER, routes=server.ROUTES, middleware=server.MIDDLEWARE, lifespan=server.lifespan)
