"""The API of the example."""

from django.urls import path

from social import views

urlpatterns = [
    path("api/signup", views.sign_up),
    path("api/posts", views.upload),
    path("api/posts/<int:post_id>", views.show),
    path("api/forget-me", views.forget_me),
]
