"""Who is at the keyboard: the signed-in person, else the name typed into the sidebar.

Every decision is signed with it. Roles belong here when sign-in exists; queries and pages ask, never decide.
"""

import streamlit as st

_NAME_KEY = "planner_name"


def planner() -> str:
    """Name that signs decisions; empty until somebody signed in or typed one."""
    return _signed_in() or str(st.session_state.get(_NAME_KEY, "")).strip()


def ask_name() -> None:
    """Sidebar entry of the name, only where nobody can sign in."""
    signed_in = _signed_in()
    if signed_in:
        st.sidebar.caption(f"Signed in as **{signed_in}**")
        return
    st.sidebar.text_input(
        "Your name",
        key=_NAME_KEY,
        placeholder="needed to decide",
        help="Signs your overrides and approvals: who, when and why are kept.",
        persist_state="session",
    )


def _signed_in() -> str:
    user = st.user.to_dict()
    return str(user.get("email") or user.get("name") or "") if user.get("is_logged_in") else ""
