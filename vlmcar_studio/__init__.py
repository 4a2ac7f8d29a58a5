"""The browser side: the router, the widgets and routes that pages share. Imports Streamlit; the core does not."""
